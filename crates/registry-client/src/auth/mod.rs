//! Who we are, to whom: challenges, tokens, and where credentials come from.
