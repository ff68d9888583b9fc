//! What a tenant's installation lists, read once for all of a rehearsal's webhooks.

use tokio::sync::OnceCell;

use crate::cognigy::{Error, Integration, Session};

/// The registrations of one tenant, as one listing had them.
#[derive(Default)]
pub struct Registered(OnceCell<Result<Vec<Integration>, Error>>);

impl Registered {
    /// All of them. Who asks first reads the listing, with its own session; a failure holds for all who ask, too.
    pub async fn all(&self, session: &Session) -> Result<&[Integration], Error> {
        let list = async || Ok(session.list_integrations().await?.value);
        match self.0.get_or_init(list).await {
            Ok(listed) => Ok(listed),
            // Another session's words are shown, with this one's secrets taken out.
            Err(error) => Err(error.clone().redacted(&session.redactor())),
        }
    }
}
