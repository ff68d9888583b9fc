local deleting = obj.metadata.deletionTimestamp ~= nil
local suspended = obj.spec.suspend == true

-- The operator says so where a deletion cannot go on by itself.
local stuck = false
if deleting and obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" and condition.reason == "DeletionBlocked" then
      stuck = true
    end
  end
end

return {
  ["reconcile"] = {["disabled"] = deleting or suspended, ["iconClass"] = "fa fa-fw fa-sync"},
  ["suspend"] = {["disabled"] = deleting or suspended, ["iconClass"] = "fa fa-fw fa-pause-circle"},
  ["resume"] = {["disabled"] = deleting or not suspended, ["iconClass"] = "fa fa-fw fa-play-circle"},
  ["orphan"] = {
    ["disabled"] = not stuck,
    ["iconClass"] = "fa fa-fw fa-unlink",
    ["displayName"] = "Orphan: let go without touching Cognigy"
  }
}
