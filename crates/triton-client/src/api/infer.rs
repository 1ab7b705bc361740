//! Inference: which form the tensors take, and the call itself.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference),
//! [binary tensors](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)

use std::time::Duration;

use tokio::time::Instant;

use crate::api::infer_request::TensorFormat;
use crate::client::accepted;
use crate::operation::{Operation, Subject};
use crate::transport::{Call, Context, Payload, Pool};
use crate::wire::encode::{OutputForm, Plan, PlannedOutput};
use crate::{Client, Datatype, EncodeError, Error, ErrorKind, InferRequest, InferResponse};

impl Client {
    /// Runs a model once.
    ///
    /// The request is sent at most once. Dropping the future closes its connection, but the
    /// server goes on: a sequence advances all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when a tensor or a parameter cannot be sent,
    /// [`ErrorKind::SequenceNotStarted`] when the server does not know the sequence,
    /// [`ErrorKind::Protocol`] when the answer is malformed or lacks an output that was asked
    /// for, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::{InferRequest, ModelId, Tensor};
    ///
    /// let request = InferRequest::new(ModelId::latest("echo".parse()?))
    ///     .input(Tensor::from_slice("value", [1, 2], &[0.5_f32, 1.5])?)
    ///     .output("echo");
    /// let response = client.infer(&request).await?;
    /// println!("{:?}", response.output("echo")?.values::<f32>()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn infer(&self, request: &InferRequest) -> Result<InferResponse, Error> {
        let operation = Operation::about(
            Subject::Model(&request.model),
            "infer",
            "infer with",
            "/infer",
        );
        let context = Context::new(operation, self.endpoint());
        let timeout = request.deadline.unwrap_or(self.settings.timeout);
        let began = Instant::now();
        let planned = tokio::time::timeout(timeout, self.plan(request, &context, timeout));
        let plan = planned
            .await
            .map_err(|_| context.timeout(timeout, false))??;
        let encoded = request
            .encode_as(&plan)
            .map_err(|fault| context.error(ErrorKind::InvalidRequest, fault.to_string()))?;
        let (chunks, json_length) = encoded.into_parts();
        let mut payload = Payload::new(chunks, json_length);
        let settings = &self.inference;
        if let Some(compression) = request.request_compression.or(settings.request_compression) {
            payload = payload.compressed(compression).await;
        }
        let call = Call {
            accepted: request
                .response_compression
                .or(settings.response_compression),
            sequence: request.sequence.as_ref().map(|sequence| &sequence.id),
            timeout: Some(timeout),
            began: Some(began),
            headers: Some(&request.headers),
            ..Call::post(operation, Pool::Data, payload)
        };
        self.perform(call, |context, answer| {
            let answer = accepted(context, answer)?;
            let response = InferResponse::decode(answer.body, answer.json_length);
            let response = response.map_err(|fault| context.protocol(fault.to_string()))?;
            match response.missing(request) {
                None => Ok(response),
                Some(message) => Err(context.protocol(message)),
            }
        })
        .await
    }

    /// Decides for each tensor in which form it travels.
    ///
    /// What JSON cannot carry fails only after the model has run, and a classification of byte
    /// strings ends the server, so the model's outputs are looked up before either is asked for.
    async fn plan<'a>(
        &self,
        request: &'a InferRequest,
        context: &Context<'_>,
        timeout: Duration,
    ) -> Result<Plan<'a>, Error> {
        let operation = &context.operation;
        let format = request.format.unwrap_or(self.inference.format);
        let format = self.negotiated(format, operation, timeout).await?;
        let unsendable =
            |fault: EncodeError| context.error(ErrorKind::InvalidRequest, fault.to_string());
        request.check_inputs(format).map_err(unsendable)?;
        let mut plan = Plan::new(request, format);
        for output in &mut plan.outputs {
            // Only a request can still leave this open for one of its outputs.
            if let OutputForm::Tensor(form) = &mut output.form {
                *form = self.negotiated(*form, operation, timeout).await?;
            }
        }
        let classifies = plan.outputs.iter().any(PlannedOutput::is_classification);
        let has_json = match plan.outputs.is_empty() {
            true => format == TensorFormat::Json,
            false => plan.outputs.iter().any(PlannedOutput::is_json),
        };
        if !classifies && !has_json {
            return Ok(plan);
        }
        let datatypes = match classifies {
            true => self.fresh_output_datatypes(&request.model, operation).await,
            false => self.output_datatypes(&request.model, operation).await,
        }?;
        let only_binary = |datatype: Datatype| matches!(datatype, Datatype::Fp16 | Datatype::Bf16);
        let mut needs_binary = false;
        if plan.outputs.is_empty() && datatypes.iter().any(|(_, datatype)| only_binary(*datatype)) {
            plan.outputs = datatypes
                .iter()
                .map(|(name, _)| PlannedOutput::json(name.clone()))
                .collect();
        }
        for output in &mut plan.outputs {
            let found = datatypes.iter().find(|(name, _)| *name == output.name);
            let Some(datatype) = found.map(|(_, datatype)| *datatype) else {
                // The server has words of its own for an output that it does not know.
                continue;
            };
            if output.is_classification() && datatype == Datatype::Bytes {
                let message = format!(
                    "expected a classification of numbers, found that output '{}' is {datatype}: \
                     ask for the output itself",
                    output.name
                );
                return Err(context.error(ErrorKind::InvalidRequest, message));
            }
            if output.is_json() && only_binary(datatype) {
                output.form = OutputForm::Tensor(TensorFormat::Binary);
                needs_binary = true;
            }
        }
        if needs_binary && !self.has_binary_tensors(operation, timeout).await? {
            let message = "expected outputs that JSON can carry, found FP16 or BF16: the server \
                           does not speak the binary form that these need";
            return Err(context.error(ErrorKind::InvalidRequest, message));
        }
        Ok(plan)
    }
}
