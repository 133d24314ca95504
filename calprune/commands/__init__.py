"""Commands apart from collect and analyze; each module adds its own to the command line."""
