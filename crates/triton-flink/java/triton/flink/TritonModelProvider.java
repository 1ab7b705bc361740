package triton.flink;

import java.time.Duration;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
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
        byte[] description = ModelDescription.of(model, timeout);
        check(description);
        return new TritonPredictFunction(
                description,
                ModelDescription.types(model.getResolvedInputSchema()),
                ModelDescription.types(model.getResolvedOutputSchema()));
    }

    /**
     * Lets Rust check options and columns, so that every problem is told at once, and in the words
     * that users of the other front ends read, too.
     */
    private static void check(byte[] description) {
        NativeLibrary.load();
        try {
            NativeLibrary.check(description);
        } catch (TritonException error) {
            throw new ValidationException(error.getMessage());
        } finally {
            NativeLog.write();
        }
    }

    @Override
    public ModelProvider copy() {
        return this;
    }
}
