//! What is logged.

use std::sync::{Arc, Mutex};

/// Everything that is logged, as the operator writes it.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub fn keep() -> Self {
        let logs = Self::default();
        let writer = logs.clone();
        tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
        logs
    }

    pub fn all(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
