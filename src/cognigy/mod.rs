//! cognigy
