//! The rules once more, straight from the JSON and without a thought for speed, to compare with.
//!
//! It shares no code with the crate: wildcards by a table, conditions by sets, the decision by listing
//! all statements that match.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request, in words.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// None for nobody in particular.
    pub(crate) arn: Option<String>,
    pub(crate) action: String,
    pub(crate) resource: String,
    /// By lower-case name.
    pub(crate) keys: BTreeMap<String, Vec<String>>,
}

/// All policies of a case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) is_owner: bool,
    pub(crate) identity: Vec<Value>,
    pub(crate) bucket: Option<Value>,
    pub(crate) session: Option<Vec<Value>>,
    pub(crate) asked: Asked,
}

/// `Some(true)` allowed, `None` not allowed, `Some(false)` denied.
pub(crate) fn decide(case: &Case) -> Option<bool> {
    let effects = |policies: &[Value]| -> Vec<String> {
        let statements = policies.iter().flat_map(|policy| many(&policy["Statement"]));
        let matching = statements.filter(|statement| matches(statement, &case.asked));
        matching.map(|statement| statement["Effect"].as_str().unwrap().to_owned()).collect()
    };
    let identity = effects(&case.identity);
    let bucket = effects(case.bucket.as_slice());
    let session = case.session.as_deref().map(effects);
    let has = |effects: &[String], wanted: &str| effects.iter().any(|effect| effect == wanted);
    let everything =
        [identity.clone(), bucket.clone(), session.clone().unwrap_or_default()].concat();
    if has(&everything, "Deny") {
        return Some(false);
    }
    let is_in_session = session.is_none_or(|effects| has(&effects, "Allow"));
    let is_allowed = case.is_owner || has(&identity, "Allow") || has(&bucket, "Allow");
    (is_in_session && is_allowed).then_some(true)
}

fn many(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    }
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    many(value).into_iter().map(text).collect()
}

fn matches(statement: &Value, asked: &Asked) -> bool {
    let lists = |name: &str, is_listed: &dyn Fn(&str) -> bool| {
        let any = |name: &str| texts(&statement[name]).iter().any(|text| is_listed(text));
        if statement[name].is_null() { !any(&format!("Not{name}")) } else { any(name) }
    };
    let action = asked.action.to_lowercase();
    let is_action = |text: &str| like(&text.to_lowercase(), &action);
    let is_resource =
        |text: &str| substitute(text, &asked.keys).is_some_and(|text| like(&text, &asked.resource));
    is_named(statement, asked)
        && lists("Action", &is_action)
        && lists("Resource", &is_resource)
        && conditions_hold(&statement["Condition"], &asked.keys)
}

fn is_named(statement: &Value, asked: &Asked) -> bool {
    let (list, negated) = match (&statement["Principal"], &statement["NotPrincipal"]) {
        (Value::Null, Value::Null) => return true,
        (Value::Null, list) => (list, true),
        (list, _) => (list, false),
    };
    let names = if list.is_string() { texts(list) } else { texts(&list["AWS"]) };
    let named = names.iter().any(|name| name == "*" || Some(name) == asked.arn.as_ref());
    named != negated
}

/// The text with its one kind of variable replaced; what comes from a variable has its wildcards hidden.
fn substitute(text: &str, keys: &BTreeMap<String, Vec<String>>) -> Option<String> {
    const VARIABLE: &str = "${aws:username}";
    if !text.contains(VARIABLE) {
        return Some(text.to_owned());
    }
    let value = keys.get("aws:username").filter(|values| values.len() == 1)?;
    Some(text.replace(VARIABLE, &value[0].replace('*', "\u{1}").replace('?', "\u{2}")))
}

/// Whether the text is like the pattern, by a table of all their beginnings.
fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let is = |expected: char, found: char| match expected {
        '?' => true,
        '\u{1}' => found == '*',
        '\u{2}' => found == '?',
        expected => expected == found,
    };
    let mut table = vec![vec![false; text.len() + 1]; pattern.len() + 1];
    table[0][0] = true;
    for p in 1..=pattern.len() {
        for t in 0..=text.len() {
            table[p][t] = match pattern[p - 1] {
                '*' => table[p - 1][t] || (t > 0 && table[p][t - 1]),
                expected => t > 0 && table[p - 1][t - 1] && is(expected, text[t - 1]),
            };
        }
    }
    table[pattern.len()][text.len()]
}

fn conditions_hold(conditions: &Value, keys: &BTreeMap<String, Vec<String>>) -> bool {
    let Some(operators) = conditions.as_object() else { return true };
    operators.iter().all(|(operator, wanted)| {
        let wanted = wanted.as_object().unwrap();
        wanted.iter().all(|(key, values)| holds(operator, key, &texts(values), keys))
    })
}

fn holds(
    operator: &str,
    key: &str,
    wanted: &[String],
    keys: &BTreeMap<String, Vec<String>>,
) -> bool {
    let none = Vec::new();
    let found = keys.get(&key.to_lowercase()).unwrap_or(&none);
    if operator == "Null" {
        return found.is_empty() == (wanted[0] == "true");
    }
    let (base, if_exists) = match operator.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (operator, false),
    };
    let (set, base) = match base.split_once(':') {
        Some((set, base)) => (set, base),
        None => ("", base),
    };
    let is_negative = base.contains("Not");
    if found.is_empty() {
        return if_exists || set == "ForAllValues" || (set.is_empty() && is_negative);
    }
    let is_wanted = |value: &String| wanted.iter().any(|it| compare(base, it, value, keys));
    let fitting = found.iter().filter(|value| is_wanted(value) != is_negative).count();
    match set {
        "ForAllValues" => fitting == found.len(),
        "ForAnyValue" => fitting > 0,
        _ if is_negative => fitting == found.len(),
        _ => fitting > 0,
    }
}

fn compare(base: &str, wanted: &str, found: &str, keys: &BTreeMap<String, Vec<String>>) -> bool {
    let number = |text: &str| text.parse::<i64>().unwrap();
    let address = |text: &str| -> u32 {
        text.split('.').fold(0, |bits, part| (bits << 8) | part.parse::<u32>().unwrap())
    };
    let plain =
        || substitute(wanted, keys).map(|it| it.replace('\u{1}', "*").replace('\u{2}', "?"));
    match base {
        "StringEquals" | "StringNotEquals" => plain().as_deref() == Some(found),
        "StringEqualsIgnoreCase" => plain().is_some_and(|it| it.eq_ignore_ascii_case(found)),
        "StringLike" | "StringNotLike" => {
            substitute(wanted, keys).is_some_and(|wanted| like(&wanted, found))
        }
        "Bool" => wanted == found,
        "NumericEquals" => number(found) == number(wanted),
        "NumericLessThan" => number(found) < number(wanted),
        "NumericGreaterThanEquals" => number(found) >= number(wanted),
        "IpAddress" | "NotIpAddress" => {
            let (network, bits) = wanted.split_once('/').unwrap();
            let shift = 32 - bits.parse::<u32>().unwrap();
            let prefix = |text| u64::from(address(text)) >> shift;
            prefix(network) == prefix(found)
        }
        other => panic!("an operator that is not generated: {other}"),
    }
}
