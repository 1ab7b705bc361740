//! Rules of several servers behind one endpoint.

use super::problems::{rule, warning};
use crate::definitions::ReadValues;
use crate::{
    ENDPOINT, ENDPOINT_DISCOVERY, ENDPOINT_DRAIN, ENDPOINT_REFRESH, Endpoint, EndpointDiscovery,
    OptionError, OptionMap, OptionWarning, PROXY, SEQUENCE_AFFINITY,
};

/// What is looked up is one name, and by us.
pub(super) fn check(read: &ReadValues) -> Option<OptionError> {
    let endpoints = read.endpoint.as_ref()?;
    if read.endpoint_discovery? != EndpointDiscovery::Dns {
        return None;
    }
    let (discovery, endpoint) = (ENDPOINT_DISCOVERY.key(), ENDPOINT.key());
    let name = endpoints.only().and_then(Endpoint::host_name);
    if name.is_none() {
        return Some(rule(
            &[discovery, endpoint],
            format!(
                "option '{discovery}' is 'dns', but '{endpoint}' is {endpoints}: give one address \
                 whose host is a name that is to be looked up, or set '{discovery}' to 'static'"
            ),
        ));
    }
    let proxy = PROXY.key();
    matches!(read.proxy, Some(Some(_))).then(|| {
        rule(
            &[discovery, proxy],
            format!(
                "option '{discovery}' is 'dns' beside '{proxy}': a proxy looks the name up by \
                 itself, so which of its addresses is called cannot be chosen; leave one of the two \
                 out"
            ),
        )
    })
}

/// Options about several servers, where there is one.
pub(super) fn warnings(map: &OptionMap, read: &ReadValues) -> Vec<OptionWarning> {
    let is_one = read.endpoint.as_ref().is_some_and(|it| it.only().is_some())
        && read.endpoint_discovery == Some(EndpointDiscovery::Static);
    if !is_one {
        return Vec::new();
    }
    let dependents = [
        ENDPOINT_REFRESH.definition(),
        ENDPOINT_DRAIN.definition(),
        SEQUENCE_AFFINITY.definition(),
    ];
    let given = dependents.into_iter().filter(|option| map.has(option));
    let endpoint = ENDPOINT.key();
    given
        .map(|option| {
            let message = format!(
                "option '{}' has no effect while '{endpoint}' is one server: it is about several",
                option.key
            );
            warning(&[option.key, endpoint], message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::TritonOptions;

    fn parse(options: &[(&str, &str)]) -> Result<TritonOptions, String> {
        let model = [("model-name", "m")];
        TritonOptions::parse(model.iter().chain(options).copied())
            .map_err(|error| error.to_string())
    }

    // Holds F80.
    #[test]
    fn one_name_is_looked_up_and_no_proxy_does_it() {
        let dns = ("endpoint-discovery", "dns");
        let refused = |options: &[(&str, &str)]| parse(options).unwrap_err();
        insta::assert_snapshot!(refused(&[dns, ("endpoint", "a:8000,http://u:canary@b:8000")]), @"option 'endpoint-discovery' is 'dns', but 'endpoint' is http://a:8000/,http://b:8000/: give one address whose host is a name that is to be looked up, or set 'endpoint-discovery' to 'static'");
        insta::assert_snapshot!(refused(&[dns, ("endpoint", "10.0.0.1:8000")]), @"option 'endpoint-discovery' is 'dns', but 'endpoint' is http://10.0.0.1:8000/: give one address whose host is a name that is to be looked up, or set 'endpoint-discovery' to 'static'");
        insta::assert_snapshot!(refused(&[dns, ("endpoint", "triton:8000"), ("proxy", "http://p:1")]), @"option 'endpoint-discovery' is 'dns' beside 'proxy': a proxy looks the name up by itself, so which of its addresses is called cannot be chosen; leave one of the two out");
        assert!(parse(&[dns, ("endpoint", "triton:8000")]).is_ok());
        assert!(parse(&[("endpoint", "a:8000,10.0.0.1:8000")]).is_ok());
    }

    #[test]
    fn what_one_server_has_no_use_for_is_said() {
        let options = [
            ("endpoint", "a:8000"),
            ("endpoint-drain", "1 min"),
            ("endpoint-refresh", "1 s"),
        ];
        let warnings = |options| {
            let options = parse(options).unwrap();
            let warnings: Vec<String> =
                options.warnings().iter().map(ToString::to_string).collect();
            warnings.join("\n")
        };
        insta::assert_snapshot!(warnings(&options), @"
        option 'endpoint-refresh' has no effect while 'endpoint' is one server: it is about several
        option 'endpoint-drain' has no effect while 'endpoint' is one server: it is about several
        ");
        let several = [("endpoint", "a:8000,b:8000"), ("endpoint-drain", "1 min")];
        assert_eq!(warnings(&several), "");
    }
}
