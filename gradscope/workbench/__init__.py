"""The process that computes for pages what takes torch and a second: questions in, answers out, a line of JSON each.

`gradscope.jobs.workbench` starts it and talks to it; docs/adr tell why it is a process.
"""
