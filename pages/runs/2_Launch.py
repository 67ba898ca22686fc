"""What has been trained, and what is training now?"""

from pages.frame import show, source

store = source.the_store()
show.header("Runs", __doc__)
