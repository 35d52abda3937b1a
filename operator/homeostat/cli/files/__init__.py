"""`homeostat validate`, `rules`, `import` and `export`: objects in files."""
