//! What is known of states: sealed with their versions.

mod facts;
