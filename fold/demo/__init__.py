"""A page on which an exported model listens, in the browser alone, at the depth of a slider."""
