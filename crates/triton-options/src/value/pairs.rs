//! The grammar of maps, as in Flink: `key:value,key:value`, with quotes around odd values.

/// One pair as text that [`pairs`] reads back, for maps that come in another form.
pub(crate) fn write_pair(name: &str, value: &str) -> String {
    let is_plain = !name.is_empty() && name.trim() == name && !name.contains([',', ':', '\'', '"']);
    match is_plain {
        true => format!("{name}:{}", quoted(value)),
        false => format!("{}:{}", quoted(name), quoted(value)),
    }
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Splits `key:value,key:value`; `None` where quotes do not match or a colon is missing.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let items = split_unquoted(text, ',')?;
    if let [only] = items.as_slice()
        && only.trim().is_empty()
    {
        return Some(Vec::new());
    }
    items
        .into_iter()
        .map(|item| {
            let mut parts = split_unquoted(item, ':')?.into_iter();
            let name = parts.next()?;
            // What follows the first colon is the value, further colons included.
            parts.next()?;
            let value = &item[name.len() + 1..];
            Some((unquote(name.trim())?, unquote(value.trim())?))
        })
        .collect()
}

/// Splits at each `separator` that is not within quotes; `None` where a quote stays open.
fn split_unquoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut quote = None;
    let mut start = 0;
    for (position, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if character == separator => {
                parts.push(&text[start..position]);
                start = position + character.len_utf8();
            }
            None => {}
        }
    }
    parts.push(&text[start..]);
    quote.is_none().then_some(parts)
}

/// Takes quotes away; a quote within them is written twice.
pub(super) fn unquote(text: &str) -> Option<String> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            let doubled = format!("{quote}{quote}");
            let inner = inner.strip_suffix(quote)?;
            let single = inner.replace(&doubled, "").contains(quote);
            return (!single).then(|| inner.replace(&doubled, &quote.to_string()));
        }
    }
    Some(text.to_owned())
}
