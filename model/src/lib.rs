//! Log line to log key to window to LogBERT to score.
