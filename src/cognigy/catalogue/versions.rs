//! Which version each integration is at, where the listing says so and that costs less than asking for each
//! (cognigy-api.md §2, §4).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{Answer, ETag, Error, ErrorKind, Integration, Read, Session, WebhookId, integrations},
    shelf::{Listing, Shelf},
};

/// How soon a listing that failed is tried again; meanwhile each object is asked for.
const AFTER_FAILURE: Duration = Duration::from_mins(1);

/// What a listing came to.
enum Found {
    /// The entity tag of each integration that has one.
    Tags(HashMap<WebhookId, ETag>),
    /// It has no `_version`, or the installation does not list (for us): true for as long as the session.
    Useless,
    /// It has more pages than it was worth for so many objects of ours.
    TooLong {
        /// How many objects it was to serve.
        own: usize,
    },
    /// It failed; the next one may not.
    Failed,
}

#[derive(Default)]
pub(super) struct Versions {
    shelf: Shelf<Found>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Tags that this session learned from the objects themselves.
    learned: HashMap<WebhookId, (Instant, Option<ETag>)>,
    /// The listing says nothing of use, for as long as the session: nothing has to be remembered for it.
    distrusted: bool,
}

/// What the listing says of one webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It is as known.
    Same,
    /// It is at another version.
    Other,
    /// Nothing.
    Nothing,
}

impl Versions {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learned from the object itself, just now.
    pub fn learn(&self, id: &WebhookId, tag: Option<&ETag>) {
        let mut notes = self.notes();
        if !notes.distrusted {
            notes.learned.insert(id.clone(), (Instant::now(), tag.cloned()));
        }
    }

    /// The object is gone.
    pub fn forget(&self, id: &WebhookId) {
        self.notes().learned.remove(id);
    }

    fn distrust(&self) {
        *self.notes() = Notes { learned: HashMap::new(), distrusted: true };
    }

    fn told(&self, listing: &Listing<Found>, id: &WebhookId, known: &ETag) -> Told {
        let Found::Tags(tags) = &listing.content else { return Told::Nothing };
        let notes = self.notes();
        let tag = match notes.learned.get(id) {
            Some((at, learned)) if *at >= listing.began => learned.as_ref(),
            _ => tags.get(id),
        };
        match tag {
            Some(tag) if tag == known => Told::Same,
            Some(_) => Told::Other,
            None => Told::Nothing,
        }
    }
}

/// Whether a listing can serve who asks for it now.
fn serves(listing: &Listing<Found>, asked: Instant, max_age: Duration, own: usize) -> bool {
    let age = asked.saturating_duration_since(listing.began);
    match &listing.content {
        Found::Useless => true,
        // Asked for again where it would serve twice as many.
        Found::TooLong { own: before } => own / 2 < *before,
        Found::Failed => age <= max_age.min(AFTER_FAILURE),
        Found::Tags(_) => age <= max_age,
    }
}

impl Session {
    /// Reads a webhook that was at the version `known`, unless a shared listing that is not older than `max_age` says that
    /// it still is. The listing is used only where its pages are fewer than the webhooks of this installation that it can
    /// serve, `own`; everywhere else this is one conditional GET.
    pub async fn reread_webhook(
        &self,
        id: &WebhookId,
        known: &ETag,
        max_age: Duration,
        own: usize,
    ) -> Result<Answer<Read>, Error> {
        let versions = &self.catalogue().versions;
        let told = self.told(id, known, max_age, own).await;
        if told == Told::Same {
            return Ok(Answer {
                value: Read::NotModified,
                etag: Some(known.clone()),
                latency: Duration::ZERO,
                trace_id: None,
            });
        }
        let answer = self.get_webhook(id, Some(known)).await?;
        if told == Told::Other && answer.etag.as_ref() == Some(known) {
            // What it calls a version is not the webhook's entity tag.
            versions.distrust();
        }
        Ok(answer)
    }

    /// What the listing says; its own failures are nobody's: the object is asked for instead.
    async fn told(&self, id: &WebhookId, known: &ETag, max_age: Duration, own: usize) -> Told {
        let versions = &self.catalogue().versions;
        let worth = own.saturating_sub(1);
        if worth == 0 || versions.notes().distrusted {
            return Told::Nothing;
        }
        let fits = |listing: &Listing<_>, asked| serves(listing, asked, max_age, own);
        let fetch = async |began| {
            let found = self.list_versions(worth).await?;
            versions.notes().learned.retain(|_, (at, _)| *at >= began);
            if matches!(found, Some(Found::Useless)) {
                versions.distrust();
            }
            Ok(found.unwrap_or(Found::TooLong { own }))
        };
        let listing = versions.shelf.get(&self.caller().place, fits, fetch).await;
        listing.map_or(Told::Nothing, |listing| versions.told(&listing, id, known))
    }

    /// At most `worth` pages; `None` where that is not all.
    async fn list_versions(&self, worth: usize) -> Result<Option<Found>, Error> {
        let mut tags = HashMap::new();
        let (mut pages, mut useless) = (0, false);
        let walked = self.walk(integrations::listing(), |page| {
            pages += 1;
            let read = page.iter().filter_map(|item| Integration::read(item, None).ok());
            tags.extend(read.filter_map(|one| Some((one.id, one.tag?))));
            useless = !page.is_empty() && tags.is_empty();
            !useless && pages < worth
        });
        match walked.await {
            Ok(_) if useless => Ok(Some(Found::Useless)),
            Ok(all) => Ok(all.value.then_some(Found::Tags(tags))),
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::NotFound | ErrorKind::NotSupported | ErrorKind::Forbidden { .. }
                ) =>
            {
                Ok(Some(Found::Useless))
            }
            Err(error) if error.kind == ErrorKind::Abandoned => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the integrations cannot be compared from their listing");
                Ok(Some(Found::Failed))
            }
        }
    }

    /// Tells the catalogue that a webhook is gone.
    pub(in super::super) fn forget_version(&self, id: &WebhookId) {
        self.catalogue().versions.forget(id);
    }

    /// Tells the catalogue what a webhook's own answer said.
    pub(in super::super) fn learn_version(&self, id: &WebhookId, tag: Option<&ETag>) {
        self.catalogue().versions.learn(id, tag);
    }
}
