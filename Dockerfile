# The images of this repository, each a target: extension, installation, agent, webhook; and `bundle`, the tree that
# the installation puts on a node, for `docker build --target bundle --output DIRECTORY .`
#
# `assemble` runs on the builder's own architecture and makes the files of the image's: nothing of them is run.  The
# images have no shell, no package manager and nothing else of this stage.  docs/images.md says more.
# The builder's own platform; buildah and podman have to be told.
ARG BUILDPLATFORM
FROM --platform=$BUILDPLATFORM docker.io/library/debian:bookworm-slim AS assemble
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates python3-minimal python3-pip >/dev/null
WORKDIR /source
COPY . .
ARG TARGETARCH
ARG BUILD=unknown
ARG SOURCE_DATE_EPOCH=0
# A proxy's CA and a mirror's address stay with the builder: they are mounted while this runs.
RUN --mount=type=secret,id=ca --mount=type=secret,id=pip \
    export PIP_CONFIG_FILE=/run/secrets/pip SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
 && if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
 && hacks/build-image-roots --architecture "$TARGETARCH" --build "$BUILD" --output /images

FROM scratch AS bundle
COPY --from=assemble /images/bundle/bundle /

FROM scratch AS extension
COPY --from=assemble /images/extension /
USER 65532:65532
ENV PATH=/bin
ENTRYPOINT ["/bin/gardener-extension-cri-resmgr"]

FROM scratch AS installation
COPY --from=assemble /images/bundle /
ENV PATH=/bin
ENTRYPOINT ["/bin/cri-resmgr-installer"]

FROM scratch AS agent
COPY --from=assemble /images/agent /
USER 65532:65532
ENV PATH=/bin
ENTRYPOINT ["/bin/cri-resmgr-agent"]

FROM scratch AS webhook
COPY --from=assemble /images/webhook /
USER 65532:65532
ENV PATH=/bin
ENTRYPOINT ["/bin/cri-resmgr-webhook"]
