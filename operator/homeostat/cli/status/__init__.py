"""`homeostat status`: everything by service, worst first."""
