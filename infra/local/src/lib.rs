//! The laptop: the deployed system with its AWS replaced.
