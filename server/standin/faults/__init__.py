"""The ways in which the stand-in can misbehave, on the wire and inside its pages."""
