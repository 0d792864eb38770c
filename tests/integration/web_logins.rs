//! Names and passwords, headers and the rate: what is asked for is asked of everybody.
