//! Addresses with secrets in every place that can hold one.

use proptest::prelude::*;
use triton_protocol::Endpoint;

/// Text with a secret in it, among characters that part an address in two.
fn secret() -> impl Strategy<Value = String> {
    let rest = "[a-z0-9:/?#@%&=;. é-]{0,6}";
    (rest, rest).prop_map(|(before, after)| format!("{before}CANARY{after}"))
}

fn perhaps(
    sign: &'static str,
    part: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let some = part.prop_map(move |part| format!("{sign}{part}"));
    prop_oneof![Just(String::new()), some]
}

fn user_info() -> impl Strategy<Value = String> {
    let password = (perhaps("", "[a-z]{1,5}"), secret());
    let password = password.prop_map(|(user, password)| format!("{user}:{password}@"));
    let user = secret().prop_map(|user| format!("{user}@"));
    prop_oneof![Just(String::new()), password, user]
}

proptest! {
    #![proptest_config(crate::property_cases(5000))]

    #[test]
    fn nothing_but_scheme_host_port_and_path_is_shown(
        scheme in prop_oneof![Just(""), Just("http://"), Just("https://"), Just("htp://")],
        user_info in user_info(),
        host in prop_oneof![Just("triton"), Just("[::1]"), Just("10.0.0.1"), Just("b\u{fc}cher"), Just("")],
        port in prop_oneof![Just(""), Just(":8000"), Just(":99999"), Just(":")],
        path in prop_oneof![Just(""), Just("/"), Just("/v2/models"), Just("/a/b/")],
        query in perhaps("?", secret()),
        fragment in perhaps("#", secret()),
    ) {
        let text = format!("{scheme}{user_info}{host}{port}{path}{query}{fragment}");
        let mut shown = vec![Endpoint::loggable(&text)];
        match text.parse::<Endpoint>() {
            Err(error) => shown.extend([error.to_string(), format!("{error:?}")]),
            Ok(endpoint) => {
                shown.extend([endpoint.to_string(), format!("{endpoint:?} {:?}", endpoint.user_info())]);
                shown.push(endpoint.url().to_string());
            }
        }
        for shown in shown {
            // Hosts are in lower case.
            prop_assert!(!shown.to_uppercase().contains("CANARY"), "{text}: {shown}");
        }
    }

    #[test]
    fn what_holds_no_secret_is_shown(
        address in "(https?://)?(triton|10\\.0\\.0\\.1|\\[::1\\])(:8[1-9][0-9]{0,2})?(/[a-z0-9-]{0,5}){0,3}",
    ) {
        prop_assert_eq!(Endpoint::loggable(&address), format!("'{address}'"));
        let hidden = Endpoint::loggable(&format!("{address}?token=x"));
        prop_assert!(hidden.starts_with(&format!("'{}", address.trim_end_matches('/'))), "{hidden}");
    }
}
