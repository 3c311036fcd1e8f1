//! `echolog check`: judges any implementation of the assignment, requirement by requirement.

pub mod facts;
pub mod framing;
pub mod profile;
pub mod requirement;
