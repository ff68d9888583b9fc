-- The status follows kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): Ready is the summary,
-- Reconciling means that it goes on by itself, Stalled that a person must change something.
local function condition(wanted)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, condition in ipairs(obj.status.conditions) do
      if condition.type == wanted then
        return condition
      end
    end
  end
  return {}
end

local ready = condition("Ready")

local function health(status, message)
  return {status = status, message = message or ""}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", ready.message or "being deleted")
end
-- -1 where the operator has not looked at the object yet.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "waiting for the operator to look at generation " .. obj.metadata.generation)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
if ready.reason == "Suspended" then
  return health("Suspended", ready.message)
end
-- The endpoint of a live webhook is out. One that does not answer before a change goes live is waited for.
local check = obj.status.health
if ready.reason == "HealthCheckFailed" and check ~= nil and check.failingSince ~= nil then
  return health("Degraded", ready.message)
end
if ready.status == nil or condition("Reconciling").status == "True" then
  return health("Progressing", ready.message)
end
-- Stalled; and what differs in Cognigy from an object that is only observed, which nobody is going to correct.
return health("Degraded", ready.message)
