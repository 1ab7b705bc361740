//! Inference: which form the tensors take, and the call itself.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference),
//! [binary tensors](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;
use triton_protocol::wire::{EncodingPlan, Lookup};

use super::refused;
use crate::client::accepted;
use crate::operation::{Operation, Subject};
use crate::transport::{Call, Context, NO_COMPRESSION, Payload, Pool, Wanted};
use crate::{Client, EncodeError, Error, ErrorKind, InferRequest, InferResponse};

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
        let context = self.context(operation);
        let settings = &self.inference;
        let compression = request.request_compression.or(settings.request_compression);
        let accepted_compression = request
            .response_compression
            .or(settings.response_compression);
        if compression.or(accepted_compression).is_some() && !cfg!(feature = "compression") {
            return Err(context.error(ErrorKind::InvalidRequest, NO_COMPRESSION));
        }
        let timeout = request.timeout.unwrap_or(self.settings.timeout);
        let began = Instant::now();
        let planned = tokio::time::timeout(timeout, self.plan(request, &context, timeout));
        let plan = planned
            .await
            .map_err(|_| context.timeout(timeout, false))??;
        // One that nobody else can know, so that a text which quotes it is about this request.
        let callers_id = request.id.as_deref().filter(|id| !id.is_empty());
        let own_id = callers_id.is_none().then(|| self.request_ids.next());
        let plan = match &own_id {
            Some(id) => plan.with_id(id),
            None => plan,
        };
        let encoded = request
            .encode_as(&plan)
            .map_err(|fault| context.error(ErrorKind::InvalidRequest, fault.to_string()))?;
        let (chunks, json_length) = encoded.into_parts();
        let payload = Payload::new(chunks, json_length);
        let takes_compressed = &self.extensions.takes_compressed;
        #[cfg(feature = "compression")]
        let payload = match compression {
            Some(compression) => {
                // It may have to wait for a thread.
                let compressed = payload.compressed(compression);
                let left = timeout.saturating_sub(began.elapsed());
                tokio::time::timeout(left, compressed)
                    .await
                    .map_err(|_| context.timeout(timeout, false))?
            }
            None => payload,
        };
        let call = Call {
            wanted: Wanted::Outputs,
            accepted: accepted_compression,
            sequence: request.sequence.as_ref().map(|sequence| &sequence.id),
            id: own_id.as_deref(),
            timeout: Some(timeout),
            began: Some(began),
            headers: Some(&request.headers),
            ..Call::post(operation, Pool::Data, payload)
        };
        let answered = self.perform(call, |context, answer| {
            let answer = accepted(context, answer).map_err(|error| {
                let compression = compression.filter(|_| !takes_compressed.load(Relaxed));
                refused::advised(error, request, compression, json_length.is_none())
            })?;
            if compression.is_some() {
                takes_compressed.store(true, Relaxed);
            }
            if answer.json_length.is_some() {
                self.answered_in_binary();
            }
            let response = InferResponse::decode_for(request, answer.body, answer.json_length);
            let response = response.map_err(|fault| context.protocol(fault.to_string()))?;
            let response = response.with_headers(answer.headers);
            let sent_id = callers_id.or(own_id.as_deref());
            let fault = response
                .foreign(sent_id.unwrap_or_default())
                .or_else(|| response.missing(request));
            match fault {
                None => Ok(response),
                Some(message) => Err(context.protocol(message)),
            }
        });
        answered.await.inspect_err(|error| {
            if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Server) {
                self.forget_outputs_of(&request.model);
            }
        })
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
    ) -> Result<EncodingPlan<'a>, Error> {
        let operation = &context.operation;
        let format = request.format.unwrap_or(self.inference.format);
        let format = self.negotiated(format, operation, timeout).await?;
        let unsendable =
            |fault: EncodeError| context.error(ErrorKind::InvalidRequest, fault.to_string());
        request.check_inputs(format).map_err(unsendable)?;
        let mut plan = EncodingPlan::new(request, format);
        // Only a request can still leave this open for one of its outputs.
        for form in plan.open_forms() {
            *form = self.negotiated(*form, operation, timeout).await?;
        }
        let datatypes = match plan.lookup() {
            None => return Ok(plan),
            Some(Lookup::Fresh) => self.fresh_output_datatypes(&request.model, operation).await,
            Some(Lookup::Known) => self.output_datatypes(&request.model, operation).await,
        }?;
        let needs_binary = plan
            .settle(&datatypes)
            .map_err(|fault| context.error(ErrorKind::InvalidRequest, fault))?;
        if needs_binary && !self.has_binary_tensors(operation, timeout).await? {
            let message = "expected outputs that JSON can carry, found FP16 or BF16: the server \
                           does not speak the binary form that these need";
            return Err(context.error(ErrorKind::InvalidRequest, message));
        }
        Ok(plan)
    }
}
