"""The faces of Quickturn: everything that touches a person, a device, a file or a network room."""
