//! The circuit breaker: a failing installation is left alone for a while, then tried with one call.

/// The breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// One call tries whether the installation is back.
    HalfOpen,
    /// No call passes.
    Open,
}
