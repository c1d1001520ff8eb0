//! Tests of the simulated world as a whole; tests of one piece stand in that piece's file.

mod crash;
mod echo;
mod grammar;
mod network;
mod relay;
