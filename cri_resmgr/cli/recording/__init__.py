"""`cri-resmgr record`: a running daemon is asked for what its policy sees and decides, and it is kept in a file.

The daemon opens no file and holds nothing longer than it must: it listens on `record.sock` in its own directory, for
root alone and apart from the socket that the node agent may use, keeps events while somebody fetches them, and forgets
the recording some seconds after its reader has gone.  Whoever records writes the file, in his own name.  `talk` is
what the two say to each other, `serving` is the daemon's end, `asking` and `files` are the other.
"""
