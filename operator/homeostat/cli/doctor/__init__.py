"""`homeostat doctor`: the installation, read and told."""
