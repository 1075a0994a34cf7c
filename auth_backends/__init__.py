"""Who you are, and whether you may come in; the only way in is ``broker.Broker``."""
