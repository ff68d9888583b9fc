//! Lua as Argo CD runs it: 5.1 with the base library, `table`, and of `os` only `date` and `time`, which must be required.
//! After Argo CD's `util/lua/lua.go` and `oslib_safe.go`.

use mlua::{Error, Lua, LuaOptions, Result, StdLib, Table, Value as LuaValue};
use serde_json::{Map, Value};

/// Runs a script with the object as its global `obj`; what it returns.
pub fn run(script: &str, object: &Value) -> Result<Value> {
    let lua = sandbox()?;
    lua.globals().set("obj", decode(&lua, object)?)?;
    lua.globals().set("actionParams", lua.create_table()?)?;
    encode(&lua.load(script).set_name("script").eval()?)
}

fn sandbox() -> Result<Lua> {
    let lua = Lua::new_with(StdLib::TABLE | StdLib::PACKAGE, LuaOptions::default())?;
    // The reference implementation's base library brings it along, Argo CD's does not.
    lua.globals().raw_remove("coroutine")?;
    let os = lua.create_function(|lua, _: String| {
        let os = lua.create_table()?;
        os.set("date", lua.create_function(|_, format: String| date(&format))?)?;
        os.set("time", lua.create_function(|_, ()| Ok(jiff::Timestamp::now().as_second()))?)?;
        Ok(os)
    })?;
    let preload: Table = lua.globals().get::<Table>("package")?.get("preload")?;
    preload.set("os", os)?;
    Ok(lua)
}

/// `os.date` with a format in UTC; `%X` is the time of day.
fn date(format: &str) -> Result<String> {
    let format = format.strip_prefix('!').ok_or_else(|| Error::runtime("local time differs from server to server"))?;
    Ok(jiff::Timestamp::now().strftime(&format.replace("%X", "%H:%M:%S")).to_string())
}

/// Numbers are floating-point, and what is null is absent.
fn decode(lua: &Lua, value: &Value) -> Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(value) => LuaValue::Number(value.as_f64().unwrap()),
        Value::String(value) => LuaValue::String(lua.create_string(value)?),
        Value::Array(items) => {
            let items = items.iter().map(|item| decode(lua, item)).collect::<Result<Vec<_>>>()?;
            LuaValue::Table(lua.create_sequence_from(items)?)
        }
        Value::Object(fields) => {
            let table = lua.create_table()?;
            for (name, field) in fields {
                table.set(name.as_str(), decode(lua, field)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// An empty table is a list, since Lua does not tell the two apart.
fn encode(value: &LuaValue) -> Result<Value> {
    Ok(match value {
        LuaValue::Nil => Value::Null,
        LuaValue::Boolean(value) => Value::Bool(*value),
        LuaValue::Integer(value) => Value::from(*value),
        #[allow(clippy::cast_possible_truncation, reason = "whole numbers within 53 bits are exact")]
        LuaValue::Number(value) if value.fract() == 0.0 && value.abs() < 9e15 => Value::from(*value as i64),
        LuaValue::Number(value) => Value::from(*value),
        LuaValue::String(value) => Value::from(value.to_str()?.to_owned()),
        LuaValue::Table(table) if table.is_empty() => Value::Array(Vec::new()),
        LuaValue::Table(table) if table.raw_len() > 0 => {
            let items = table.sequence_values::<LuaValue>().map(|item| encode(&item?));
            let items = items.collect::<Result<Vec<_>>>()?;
            if items.len() != table.pairs::<LuaValue, LuaValue>().count() {
                return Err(Error::runtime("a list has keys, or gaps"));
            }
            Value::Array(items)
        }
        LuaValue::Table(table) => {
            let fields = table.pairs::<String, LuaValue>().map(|field| {
                let (name, field) = field?;
                Ok((name, encode(&field)?))
            });
            Value::Object(fields.collect::<Result<Map<_, _>>>()?)
        }
        other => return Err(Error::runtime(format!("{} cannot be returned", other.type_name()))),
    })
}

#[test]
fn the_sandbox_is_as_bare_as_argo_cds() {
    for library in ["string", "math", "io", "os", "debug", "coroutine"] {
        assert_eq!(run(&format!("return {library}"), &Value::Null).unwrap(), Value::Null, "{library}");
    }
    assert!(run("return ('text'):upper()", &Value::Null).is_err(), "strings have no methods");
    assert_eq!(run("return require('os').execute", &Value::Null).unwrap(), Value::Null);
    let now = run("return require('os').date('!%Y-%m-%dT%XZ')", &Value::Null).unwrap();
    assert!(now.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{now}");
}

#[test]
fn what_comes_back_is_what_went_in_but_for_what_lua_cannot_tell_apart() {
    let object = serde_json::json!({"a": [1, 2.5, "x", true, {"b": {}}], "n": null, "c": {"d": "e"}});
    let expected = serde_json::json!({"a": [1, 2.5, "x", true, {"b": []}], "c": {"d": "e"}});
    assert_eq!(run("return obj", &object).unwrap(), expected);
}
