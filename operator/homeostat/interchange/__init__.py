"""Getting in and out: objectives of other tools read and written (OpenSLO, Sloth, Pyrra), and ours checked. Pure."""
