"""Where the parts meet: Kopf handlers, settings, composition. The only room that knows Kopf."""
