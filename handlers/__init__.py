"""HTTP handlers: thin doors from routes to the services below them."""
