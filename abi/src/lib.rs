//! Work begins here.
#![no_std]
