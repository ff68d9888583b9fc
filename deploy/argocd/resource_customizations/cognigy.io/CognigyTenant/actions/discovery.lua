local deleting = obj.metadata.deletionTimestamp ~= nil
local suspended = obj.spec.suspend == true

-- A tenant waits for its webhooks, which nothing can cut short, and for the delivery of its last alerts.
local stuck = deleting and obj.status ~= nil and obj.status.alerts ~= nil
  and obj.status.alerts.undelivered ~= nil and #obj.status.alerts.undelivered > 0

return {
  ["reconcile"] = {["disabled"] = deleting or suspended, ["iconClass"] = "fa fa-fw fa-sync"},
  ["suspend"] = {["disabled"] = deleting or suspended, ["iconClass"] = "fa fa-fw fa-pause-circle"},
  ["resume"] = {["disabled"] = deleting or not suspended, ["iconClass"] = "fa fa-fw fa-play-circle"},
  ["orphan"] = {
    ["disabled"] = not stuck,
    ["iconClass"] = "fa fa-fw fa-unlink",
    ["displayName"] = "Orphan: let go of undelivered alerts"
  }
}
