package triton.flink;

import java.time.Duration;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.api.config.ExecutionConfigOptions;
import org.apache.flink.table.api.config.MLPredictRuntimeConfigOptions;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.Column.MetadataColumn;
import org.apache.flink.table.catalog.ResolvedCatalogModel;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.functions.PredictFunction;
import org.apache.flink.table.ml.AsyncPredictRuntimeProvider;
import org.apache.flink.table.ml.ModelProvider;
import org.apache.flink.table.ml.PredictRuntimeProvider;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * Gives the planner the function that asks the model: the asynchronous one, unless a query says
 * {@code MAP['async', 'false']}.
 */
public class TritonModelProvider implements AsyncPredictRuntimeProvider, PredictRuntimeProvider {
    private final ReadableConfig configuration;

    TritonModelProvider(ReadableConfig configuration) {
        this.configuration = configuration;
    }

    @Override
    public AsyncPredictFunction createAsyncPredictFunction(Context context) {
        Duration timeout =
                context.runtimeConfig()
                        .getOptional(MLPredictRuntimeConfigOptions.ASYNC_TIMEOUT)
                        .orElseGet(
                                () ->
                                        configuration.get(
                                                ExecutionConfigOptions
                                                        .TABLE_EXEC_ASYNC_ML_PREDICT_TIMEOUT));
        return new TritonPredictFunction(rows(context.getCatalogModel(), timeout, false));
    }

    @Override
    public PredictFunction createPredictFunction(Context context) {
        refuseMetadata(context.getCatalogModel());
        // Flink waits for as long as it takes.
        Duration timeout = Duration.ZERO;
        return new TritonBlockingPredictFunction(
                rows(context.getCatalogModel(), timeout, true));
    }

    /**
     * Flink counts only the ordinary output columns where it waits for each row, and fails at the first
     * row that has more.
     */
    private static void refuseMetadata(ResolvedCatalogModel model) {
        for (Column column : model.getResolvedOutputSchema().getColumns()) {
            if (column instanceof MetadataColumn) {
                throw new ValidationException(
                        "OUTPUT column '"
                                + column.getName()
                                + "' is a metadata column, which Flink cannot read with 'async' = "
                                + "'false': declare it as an ordinary column '"
                                + ModelDescription.name(column)
                                + "', or leave 'async' out");
            }
        }
    }

    @Override
    public ModelProvider copy() {
        return this;
    }

    private static RowFunction rows(
            ResolvedCatalogModel model, Duration timeout, boolean oneByOne) {
        byte[] description = ModelDescription.of(model, timeout);
        check(description);
        LogicalType[] inputs = ModelDescription.types(model.getResolvedInputSchema());
        return new RowFunction(
                description,
                model.getResolvedInputSchema().getColumnNames().toArray(new String[0]),
                inputs,
                ModelDescription.types(model.getResolvedOutputSchema()),
                inputs,
                oneByOne);
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
}
