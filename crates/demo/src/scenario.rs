//! What happens to the webhooks of `examples/`: one has luck, one has a bad endpoint, one has a busy colleague, and one was
//! there before.

use std::time::Duration;

use cognigy_simulator::{Answer, BotWebhook, Fault, Handle, Route, State};
use serde_json::json;
use tokio::task::JoinHandle;

/// It goes live at once.
pub(crate) const LUCKY: &str = "order-fulfillment";
/// Its endpoint is down at first.
pub(crate) const UNHEALTHY: &str = "payment-notifications";
/// Somebody changes it in Cognigy at the worst moment.
pub(crate) const CONTESTED: &str = "ticket-updates";

/// It exists already: a bot's webhook.
pub(crate) const IMPORTED: &str = "handover-notifications";
/// Its bot, and its name in Cognigy.
pub(crate) const BOT: &str = "66a1c0ffee00000000000001";
pub(crate) const BOT_WEBHOOK: &str = "Handover notifications";

/// How many health checks of [`UNHEALTHY`] fail.
pub(crate) const FAILED_CHECKS: usize = 2;
/// How long Cognigy takes to write a policy: time enough for somebody else's change between the operator's read and its write.
const SLOW_WRITE: Duration = Duration::from_millis(700);
/// What somebody else writes: a field that the operator knows nothing of, and must keep.
pub(crate) const FOREIGN_FIELD: &str = "deliveryRegion";
pub(crate) const FOREIGN_VALUE: &str = "eu-2";

/// Prepares the simulator. The task plays the colleague, and ends once it has.
pub(crate) fn prepare(simulator: &Handle) -> JoinHandle<()> {
    simulator.add_bot_webhook(BotWebhook::new(BOT, BOT_WEBHOOK, "https://hooks.example.com/handover"));
    simulator.callback(UNHEALTHY).answers(vec![Answer::status(503); FAILED_CHECKS]);
    let slow = simulator.fault(Fault::on(Route::PutWebhook).delay(SLOW_WRITE));
    let simulator = simulator.clone();
    tokio::spawn(async move {
        simulator.wait_until(|state| contested_write(state).is_some()).await;
        if let Some(id) = simulator.look(contested_write) {
            simulator.change_behind(&id, json!({FOREIGN_FIELD: FOREIGN_VALUE}));
        }
        simulator.remove_fault(slow);
    })
}

/// The id of the contested webhook once its policy is being written.
fn contested_write(state: &State) -> Option<String> {
    let id = &state.integrations().iter().find(|one| one.name == CONTESTED)?.id;
    let writes = |one: &&cognigy_simulator::Request| one.route == Some(Route::PutWebhook) && one.path.contains(id);
    state.requests().iter().find(writes).map(|_| id.clone())
}
