// What gardenlet makes of the chart in a ControllerDeployment: its own renderer, called as it calls it.
//
//	chart-renderer ARCHIVE RELEASE NAMESPACE KUBERNETES_VERSION <values.json
//
// ARCHIVE is a .tgz with one chart directory.  The manifest goes to standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gardener/gardener/pkg/chartrenderer"
	"k8s.io/apimachinery/pkg/version"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: chart-renderer ARCHIVE RELEASE NAMESPACE KUBERNETES_VERSION <values.json")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintf(os.Stderr, "chart-renderer: %v\n", err)
		os.Exit(1)
	}
}

func render(archive, release, namespace, kubernetes string) error {
	chart, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	values := map[string]any{}
	if err := json.NewDecoder(os.Stdin).Decode(&values); err != nil {
		return fmt.Errorf("values on standard input: %w", err)
	}
	renderer := chartrenderer.NewWithServerVersion(&version.Info{GitVersion: kubernetes})
	rendered, err := renderer.RenderArchive(chart, release, namespace, values)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(rendered.Manifest())
	return err
}
