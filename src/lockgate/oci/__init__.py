"""The local artifact store (an OCI image layout), and how models get into it."""
