"""A page on which an exported model listens, in the browser itself, at the depth of a slider."""
