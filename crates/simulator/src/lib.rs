//! cognigy-simulator
