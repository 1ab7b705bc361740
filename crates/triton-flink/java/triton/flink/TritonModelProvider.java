package triton.flink;

import java.time.Duration;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.config.ExecutionConfigOptions;
import org.apache.flink.table.api.config.MLPredictRuntimeConfigOptions;
import org.apache.flink.table.catalog.ResolvedCatalogModel;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.ml.AsyncPredictRuntimeProvider;
import org.apache.flink.table.ml.ModelProvider;

/** Gives the planner the function that asks the model. */
public class TritonModelProvider implements AsyncPredictRuntimeProvider {
    private final ReadableConfig configuration;

    TritonModelProvider(ReadableConfig configuration) {
        this.configuration = configuration;
    }

    @Override
    public AsyncPredictFunction createAsyncPredictFunction(Context context) {
        ResolvedCatalogModel model = context.getCatalogModel();
        Duration timeout =
                context.runtimeConfig()
                        .getOptional(MLPredictRuntimeConfigOptions.ASYNC_TIMEOUT)
                        .orElseGet(
                                () ->
                                        configuration.get(
                                                ExecutionConfigOptions
                                                        .TABLE_EXEC_ASYNC_ML_PREDICT_TIMEOUT));
        return new TritonPredictFunction(
                ModelDescription.of(model, timeout),
                ModelDescription.types(model.getResolvedInputSchema()),
                ModelDescription.types(model.getResolvedOutputSchema()));
    }

    @Override
    public ModelProvider copy() {
        return this;
    }
}
