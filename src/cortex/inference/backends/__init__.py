"""What runs a text model: ONNX files, a hash, or somebody's HTTP service."""
