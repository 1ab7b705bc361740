//! The server that a command talks to: found by the options, or started where they ask for it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::warn;
use triton_client::{Client, ErrorKind, ModelId, Readiness};
use triton_embedded::EmbeddedTriton;
use triton_options::{EMBEDDED_ENDPOINT, ENDPOINT, MODEL_NAME, OptionValue as _, TritonOptions};

use crate::config::{LayeredOptions, Origin};
use crate::config_arguments::ConfigArguments;
use crate::failure::Failure;
use crate::progress::say;
use crate::unshown;

/// A server, and the options that apply to it.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) options: TritonOptions,
    /// The endpoint as a MODEL.sql would name it: without credentials, and not by an address
    /// that lasts only as long as this process.
    pub(crate) endpoint: String,
    /// Which of several servers it is, where it is meant alone.
    pub(crate) replica: Option<String>,
}

/// What is known of a server, behind its name.
pub(crate) type Named<T> = (String, T);

/// Says which servers could not be asked, and ends a command that shows what the others said.
pub(crate) fn tell_unasked(failed: &[Named<Failure>]) -> ExitCode {
    for (replica, failure) in failed {
        say(&format!(
            "{replica} could not be asked: {}",
            failure.message()
        ));
    }
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// How long a server of several has to say that it is ready, when one is chosen.
const TIME_TO_ANSWER: Duration = Duration::from_secs(2);

impl Server {
    /// The model that the options name.
    pub(crate) fn model(&self) -> ModelId {
        let options = &self.options;
        ModelId::new(options.model_name.clone(), options.model_version.clone())
    }

    /// Whether there are several servers, or may be.
    pub(crate) fn are_several(&self) -> bool {
        self.replica.is_none() && self.options.name_several_servers()
    }

    /// With the client of one that is ready, for questions that any of several can answer.
    pub(crate) async fn of_one(self) -> Result<Self, Failure> {
        let client = one_client(&self.options).await?;
        Ok(Self { client, ..self })
    }

    /// Each of the servers by itself.
    pub(crate) async fn each(&self) -> Result<Vec<Self>, Failure> {
        let one = |client: Client, replica| Self {
            client,
            options: self.options.clone(),
            endpoint: self.endpoint.clone(),
            replica,
        };
        if !self.are_several() {
            return Ok(vec![one(self.client.clone(), self.replica.clone())]);
        }
        let clients = triton_model_fn::clients_from_options(&self.options).await;
        let clients = clients.map_err(Failure::server)?.into_iter();
        let each = clients.map(|client| {
            let shown = match client.replica() {
                Some(address) => address.to_string(),
                None => client.endpoint().to_string(),
            };
            one(client, Some(shown))
        });
        Ok(each.collect())
    }

    /// Asks each of the servers: what those say that answer, one at least, and why others do not. Both
    /// with the server's name, which is empty where it is the only one.
    pub(crate) async fn ask_each<T>(
        &self,
        ask: impl AsyncFn(&Self) -> Result<T, Failure>,
    ) -> Result<(Vec<Named<T>>, Vec<Named<Failure>>), Failure> {
        let each = self.each().await?;
        let answers = join_all(each.iter().map(async |server| ask(server).await)).await;
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for (server, answer) in each.iter().zip(answers) {
            let replica = server.replica.clone().unwrap_or_default();
            match answer {
                Ok(answer) => found.push((replica, answer)),
                Err(failure) => failed.push((replica, failure)),
            }
        }
        match failed.pop() {
            Some((_, failure)) if found.is_empty() => Err(failure),
            last => {
                failed.extend(last);
                Ok((found, failed))
            }
        }
    }

    /// The failure of a question or a wish that is about the model: `lacks` where the server, one
    /// of another kind than Triton, knows the model and has nothing of the sort.
    pub(crate) async fn failure_about_model(
        &self,
        error: triton_client::Error,
        lacks: &str,
    ) -> Failure {
        let lacks_it =
            error.is_no_such_path() && self.client.model_metadata(&self.model()).await.is_ok();
        match lacks_it {
            true => Failure::server(anyhow::Error::new(error).context(lacks.to_owned())),
            false => error.into(),
        }
    }
}

/// Runs a command that talks to a server, about `model` where the command names one.
pub(crate) fn with_server(
    arguments: &ConfigArguments,
    model: Option<&str>,
    command: impl AsyncFnOnce(Server) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    with_server_heeding(arguments, model, &[], command)
}

/// As [`with_server`], for a command that goes by the options `heeded` whatever else is set.
pub(crate) fn with_server_heeding(
    arguments: &ConfigArguments,
    model: Option<&str>,
    heeded: &[&str],
    command: impl AsyncFnOnce(Server) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    check_model(model)?;
    let prepare = |options: &mut LayeredOptions| match model {
        Some(model) => options.set(MODEL_NAME.key(), model, Origin::Argument("MODEL")),
        None => options.without_model(),
    };
    let effects = Effects {
        without: &[],
        heeded,
    };
    with_prepared_server(arguments, prepare, &effects, command)
}

/// Whoever writes an address or an option in place of the model is told where it belongs.
pub(crate) fn check_model(model: Option<&str>) -> Result<(), Failure> {
    let Some(model) = model else { return Ok(()) };
    let shown = unshown::loggable(model).unwrap_or_else(|| model.to_owned());
    if !model.contains("://") && shown == model {
        return Ok(());
    }
    let error = anyhow!("MODEL: expected the model's name, found '{shown}'");
    Err(Failure::usage(error)
        .with_hint("the server is an option: -e URL, and all else is: -O KEY=VALUE"))
}

/// What options mean to a command, where that is not what they mean to a model function.
pub(crate) struct Effects<'a> {
    /// Options that mean nothing to it.
    pub(crate) without: &'a [&'a str],
    /// Options that it goes by even where a function would not, because others are not set.
    pub(crate) heeded: &'a [&'a str],
}

/// As [`with_server`], for a command whose arguments say more than the model.
pub(crate) fn with_prepared_server(
    arguments: &ConfigArguments,
    prepare: impl FnOnce(&mut LayeredOptions),
    effects: &Effects<'_>,
    command: impl AsyncFnOnce(Server) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let mut options = LayeredOptions::collect(None, &arguments.sources())?;
    let ignored: Vec<_> = effects
        .without
        .iter()
        .filter(|key| options.is_set(key))
        .collect();
    prepare(&mut options);
    if arguments.print_config {
        return options.print().map(|()| ExitCode::SUCCESS);
    }
    // The embedded server lives until the command is over.
    let embedded = start_embedded(&mut options)?;
    let options = options.parse()?;
    for key in ignored {
        warn!("option '{key}' has no effect in this command");
    }
    let warnings = options.warnings().iter();
    for warning in warnings.filter(|warning| {
        let mut keys = warning.keys.iter();
        !keys.any(|key| effects.without.contains(key) || effects.heeded.contains(key))
    }) {
        warn!("{warning}");
    }
    let endpoint = match embedded {
        Some(_) => EMBEDDED_ENDPOINT.to_owned(),
        None => options.endpoint.canonical(),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::usage)?;
    runtime.block_on(async {
        let client = triton_model_fn::client_from_options(&options).map_err(Failure::usage)?;
        let server = Server {
            client,
            options,
            endpoint,
            replica: None,
        };
        command(server).await
    })
}

/// A client for questions that any of several servers can answer: of the first one that has the model
/// ready, else of the first that is ready.
pub(crate) async fn one_client(options: &TritonOptions) -> Result<Client, Failure> {
    let only = || triton_model_fn::client_from_options(options).map_err(Failure::usage);
    if !options.name_several_servers() {
        return only();
    }
    let Ok(mut each) = triton_model_fn::clients_from_options(options).await else {
        return only();
    };
    let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
    let asked = each.iter().map(|client| async {
        let server = timeout(TIME_TO_ANSWER, client.ready());
        let model = timeout(TIME_TO_ANSWER, client.model_ready(&model));
        let (server, model) = tokio::join!(server, model);
        [server, model].map(|answer| matches!(answer, Ok(Ok(Readiness::Ready))))
    });
    let ready = join_all(asked).await;
    let has_model = ready.iter().position(|[server, model]| *server && *model);
    match has_model.or_else(|| ready.iter().position(|[server, _]| *server)) {
        Some(chosen) => Ok(each.swap_remove(chosen)),
        None => only(),
    }
}

/// Starts the embedded server where the endpoint asks for it, and puts its address there.
pub(crate) fn start_embedded(
    options: &mut LayeredOptions,
) -> Result<Option<EmbeddedTriton>, Failure> {
    let given = options.get(&ENDPOINT).unwrap_or_default();
    if given != EMBEDDED_ENDPOINT {
        if given
            .split(',')
            .any(|part| part.trim() == EMBEDDED_ENDPOINT)
        {
            return Err(Failure::usage(anyhow!(
                "option '{}': '{EMBEDDED_ENDPOINT}' stands alone: a server within this process is none \
                 of several; start it with `triton serve`, and give its address",
                ENDPOINT.key()
            )));
        }
        return Ok(None);
    }
    // What it would record grows with the work, and nobody asks for it.
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(0)
        .start()
        .context("the embedded server cannot be started")
        .map_err(Failure::server)?;
    options.set(ENDPOINT.key(), server.endpoint(), Origin::Embedded);
    Ok(Some(server))
}

impl From<triton_client::Error> for Failure {
    fn from(error: triton_client::Error) -> Self {
        let hint = match error.kind() {
            ErrorKind::Connect => {
                "`triton health --wait 60s` waits for a server that is starting; -e URL or \
                 TRITON_ENDPOINT names another"
            }
            ErrorKind::Timeout => "-O timeout=… waits longer",
            ErrorKind::Denied => {
                "-O auth-token=@FILE or TRITON_AUTH_TOKEN sends a token, and \
                 -O custom-headers=… any other header"
            }
            ErrorKind::NotFound => "`triton models` lists the models that the server has",
            ErrorKind::CertificateUntrusted => {
                "-O tls-ca-file=FILE trusts the authority that signed the server's certificate"
            }
            ErrorKind::CertificateName => {
                "-O tls-server-name=NAME expects another name in the server's certificate"
            }
            ErrorKind::ClientCertificate => {
                "-O tls-certificate-file=FILE -O tls-key-file=FILE show a certificate to the server"
            }
            ErrorKind::Proxy | ErrorKind::ProxyDenied => "-O proxy=URL names another proxy",
            _ => return Failure::server(error),
        };
        Failure::server(error).with_hint(hint)
    }
}
