"""The composition root: the only layer that knows every adapter.

To add a backend: write it in `lockgate.backends`, give it a class in `lockgate.config.settings`,
and add its case in `lockgate.app.backends`; the type checker names the place if you forget one. To
add a built-in task: write it in `lockgate.tasks` and add it to the table in `lockgate.app.tasks`.
"""
