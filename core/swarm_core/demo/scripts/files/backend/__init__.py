"""The EcoRoute API: customers, bins and routes as JSON over HTTP."""
