if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["cognigy.io/force-orphan"] = "true"
return obj
