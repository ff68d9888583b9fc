//! The steps of a rehearsal: what is read is read, what would be written is noted with the fields that it changes and taken
//! for done, so that the plan goes on as it would.

use super::{
    super::{
        compare, farewell, registration,
        rehearsal::{Act, Action},
    },
    Pass,
};
use crate::{
    api::webhook::Drift,
    cognigy::{ErrorKind, Status},
    controller::{
        error::Failure,
        webhook::{
            plan::Step,
            world::{Fact as Compared, Health, Known, Target},
        },
    },
};

impl Pass<'_> {
    pub(super) async fn rehearse(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Recover(version) => self.look_for_lost(version).await.map(drop),
            Step::Find => self.find().await,
            Step::ReadWebhook => self.read_webhook().await,
            Step::ReadIntegration => self.read_integration().await,
            Step::ReadOlder(version) => self.read_older(version).await,
            Step::Claim => self.rehearse_claim().await,
            Step::Register => self.rehearse_register().await,
            Step::Adopt => {
                self.rehearse_adopt();
                Ok(())
            }
            Step::WritePolicy => self.rehearse_policy(),
            Step::CheckHealth => self.rehearse_check().await,
            Step::Put { active } => {
                self.rehearse_put(active);
                Ok(())
            }
            Step::Deactivate(version) => self.rehearse_deactivate(version).await,
            Step::Delete(version) => {
                self.note(Action::Delete, version, Vec::new());
                self.forget(version);
                Ok(())
            }
            Step::Release => {
                if let Some(failure) = farewell::last_words(&self.object, self.context, &mut self.book.status) {
                    return Err(failure);
                }
                self.note(Action::Release, self.version.into(), Vec::new());
                self.world.claimed = false;
                Ok(())
            }
        }
    }

    fn note(&mut self, action: Action, version: i64, fields: Vec<Drift>) {
        let webhook_id = self.book.id_of(version).map(|id| id.to_string());
        let act = Act { action, version: Some(version), webhook_id, url: None, fields };
        if let Some(script) = &mut self.script {
            script.acts.push(act);
        }
    }

    async fn rehearse_claim(&mut self) -> Result<(), Failure> {
        self.namespace_stays().await?;
        self.note(Action::Claim, self.version.into(), Vec::new());
        self.world.claimed = true;
        Ok(())
    }

    /// Instead of a POST the listing is read: what it does not have would be made, what it has would be answered 200 or 409.
    async fn rehearse_register(&mut self) -> Result<(), Failure> {
        self.namespace_stays().await?;
        let wished = self.wished(Status::Inactive).await?;
        let Some(script) = &self.script else { return Ok(()) };
        let found = script.find(&self.session, |one| one.has_key_of(&wished.name, wished.version)).await;
        let found = match found {
            Ok(found) => found,
            // Without a listing it cannot be known.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotSupported) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(found) = found {
            return self.is_candidate(found).await;
        }
        self.note(Action::Register, wished.version, compare::new_registration(&wished));
        // The tag is known after the POST, or after one more read.
        let made =
            Known { seen: true, active: false, registration: Compared::Same, policy: Compared::Differs, tagged: true };
        self.world.target = Target::Known(made);
        Ok(())
    }

    fn rehearse_adopt(&mut self) {
        if self.take().is_some() && !self.observing() && self.wish.is_some() {
            self.note(Action::Adopt, self.version.into(), Vec::new());
        }
    }

    fn rehearse_policy(&mut self) -> Result<(), Failure> {
        let Some(wish) = self.wish else { return Ok(()) };
        let fields = if let Some(read) = &self.book.webhook {
            self.session.precondition(read)?;
            self.found.policy.clone()
        } else {
            // The registration is to be made first.
            let wanted = wish.policy.iter().map(|policy| &policy.intervals);
            wanted.map(|policy| compare::new_policy(policy.max_retries, &policy.intervals_ms)).collect()
        };
        self.note(Action::WriteRetryPolicy, self.version.into(), fields);
        if let Some(known) = self.world.known_mut() {
            known.policy = Compared::Same;
            known.tagged = false;
        }
        Ok(())
    }

    /// Nothing is sent to the callback: the check is taken to pass.
    async fn rehearse_check(&mut self) -> Result<(), Failure> {
        let url = self.wished(Status::Inactive).await?.url.to_string();
        self.note(Action::CheckHealth, self.version.into(), Vec::new());
        if let Some(act) = self.script.as_mut().and_then(|script| script.acts.last_mut()) {
            act.url = Some(url);
        }
        self.world.health = Health::Passing;
        self.world.outage = false;
        Ok(())
    }

    fn rehearse_put(&mut self, active: bool) {
        let Some(before) = self.world.known().copied() else { return };
        let mut fields = Vec::new();
        let action = match (before.registration, active) {
            (Compared::Differs, _) => {
                fields.append(&mut self.found.registration);
                Action::Update
            }
            (_, true) => Action::Activate,
            (_, false) => Action::Deactivate,
        };
        if before.active != active {
            fields.push(state(before.active, active));
        }
        self.note(action, self.version.into(), fields);
        self.book.set_active(self.version.into(), active);
        if let Some(known) = self.world.known_mut() {
            *known = Known { registration: Compared::Same, active, tagged: false, ..before };
        }
    }

    async fn rehearse_deactivate(&mut self, version: i64) -> Result<(), Failure> {
        let Some(id) = self.book.id_of(version) else { return Ok(()) };
        let answer = registration::deactivation(&self.session, &id).await;
        let Some(needed) = self.unless_gone(version, answer)? else { return Ok(()) };
        if needed.is_some() {
            self.note(Action::Deactivate, version, vec![state(true, false)]);
        }
        self.is_off(version);
        Ok(())
    }
}

/// The state of a registration that changes.
fn state(before: bool, after: bool) -> Drift {
    let word = |active: bool| Some(if active { "active" } else { "inactive" }.to_owned());
    Drift { path: "status".into(), desired: word(after), actual: word(before) }
}
