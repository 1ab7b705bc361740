//! Writes JSON the way Triton does: compact, doubles with a point, `NaN` bare, bytes as they are.

use super::Json;

impl Json {
    /// The document as Triton would send it; not always UTF-8 and not always strict JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Json::Null => bytes.extend(b"null"),
            Json::Bool(value) => bytes.extend(value.to_string().bytes()),
            Json::Unsigned(value) => bytes.extend(value.to_string().bytes()),
            Json::Negative(value) => bytes.extend(value.to_string().bytes()),
            Json::Double(value) => bytes.extend(double(*value).bytes()),
            Json::Text(text) => write_text(text, bytes),
            Json::Array(items) => write_list(bytes, [b'[', b']'], items, Json::write),
            Json::Object(members) => {
                write_list(bytes, [b'{', b'}'], members, |(key, value), bytes| {
                    write_text(key, bytes);
                    bytes.push(b':');
                    value.write(bytes);
                });
            }
        }
    }
}

fn write_list<Item>(
    bytes: &mut Vec<u8>,
    brackets: [u8; 2],
    items: &[Item],
    write: impl Fn(&Item, &mut Vec<u8>),
) {
    bytes.push(brackets[0]);
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            bytes.push(b',');
        }
        write(item, bytes);
    }
    bytes.push(brackets[1]);
}

fn write_text(text: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(b'"');
    for byte in text {
        match byte {
            b'"' => bytes.extend(b"\\\""),
            b'\\' => bytes.extend(b"\\\\"),
            0x08 => bytes.extend(b"\\b"),
            0x0C => bytes.extend(b"\\f"),
            b'\n' => bytes.extend(b"\\n"),
            b'\r' => bytes.extend(b"\\r"),
            b'\t' => bytes.extend(b"\\t"),
            0..0x20 => bytes.extend(format!("\\u{byte:04X}").bytes()),
            _ => bytes.push(*byte),
        }
    }
    bytes.push(b'"');
}

/// The shortest digits that read back to the same double, laid out as RapidJSON does: plain
/// between 1e-6 and 1e21 with at least one decimal, with an exponent outside. RapidJSON's own
/// digits are not always the nearest of the shortest: 1e23 is 9.999999999999999e22 there, which is
/// the same number.
fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits = mantissa.replace('.', "");
    // How many of the digits stand before the point; negative where zeros follow it first.
    let whole = exponent + 1;
    let magnitude = match usize::try_from(whole) {
        Ok(whole @ 1..=21) if digits.len() <= whole => format!("{digits:0<whole$}.0"),
        Ok(whole @ 1..=21) => format!("{}.{}", &digits[..whole], &digits[whole..]),
        _ if (-5..=0).contains(&whole) => {
            format!("0.{}{digits}", "0".repeat(whole.unsigned_abs() as usize))
        }
        _ => scientific,
    };
    format!("{sign}{magnitude}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Triton 2.51.0 echoed each of these numbers like this.
    #[test]
    fn doubles_look_as_in_triton() {
        let seen = [
            (f64::from(0.1_f32), "0.10000000149011612"),
            (2.0, "2.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (f64::from(1e-40_f32), "9.99994610111476e-41"),
            (1e15, "1000000000000000.0"),
            (1.5e21, "1.5e21"),
            (9223372036854775807.0, "9223372036854776000.0"),
            (f64::from(1e-5_f32), "0.000009999999747378752"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e300"),
            (5e-324, "5e-324"),
            (0.3, "0.3"),
            (123456792.0, "123456792.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in seen {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn bytes_pass_as_they_are_and_controls_are_escaped() {
        let text = Json::text(b"\xFF/\"\\\n\x00\x7F");
        assert_eq!(text.to_bytes(), b"\"\xFF/\\\"\\\\\\n\\u0000\x7F\"");
    }

    #[test]
    fn members_and_items_keep_their_order() {
        let value = Json::object([("b", Json::array([1_u64, 2])), ("a", Json::Null)]);
        assert_eq!(value.to_bytes(), b"{\"b\":[1,2],\"a\":null}");
    }
}
