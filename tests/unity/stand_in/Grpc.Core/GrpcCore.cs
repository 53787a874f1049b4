// Grpc.Core without its native library: unary calls over HTTP/2 in clear text, as .NET's own client speaks it.
using System;
using System.Buffers.Binary;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;

namespace Grpc.Core
{
    public enum MethodType
    {
        Unary,
        ClientStreaming,
        ServerStreaming,
        DuplexStreaming,
    }

    public enum StatusCode
    {
        OK = 0,
        Unknown = 2,
        Internal = 13,
        Unavailable = 14,
    }

    public struct Status
    {
        public Status(StatusCode code, string detail)
        {
            StatusCode = code;
            Detail = detail;
        }

        public string Detail { get; }
        public StatusCode StatusCode { get; }
    }

    public class RpcException : Exception
    {
        public RpcException(Status status)
            : base($"{status.StatusCode}: {status.Detail}") => Status = status;

        public Status Status { get; }
    }

    public class CallCredentials
    {
    }

    public class ChannelCredentials
    {
        public static ChannelCredentials Insecure { get; } = new();
    }

    public class ContextPropagationToken
    {
    }

    public class Metadata
    {
    }

    public class ServerCallContext
    {
    }

    public class WriteOptions
    {
    }

    public class Channel
    {
        public Channel(string target, ChannelCredentials credentials)
        {
            Target = target;
            Http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Timeout.InfiniteTimeSpan };
        }

        internal HttpClient Http { get; }
        internal string Target { get; }

        public Task ShutdownAsync()
        {
            Http.Dispose();
            return Task.CompletedTask;
        }
    }

    public class Marshaller<T>
    {
        public Marshaller(Func<T, byte[]> serializer, Func<byte[], T> deserializer)
        {
            Serializer = serializer;
            Deserializer = deserializer;
        }

        public Func<byte[], T> Deserializer { get; }
        public Func<T, byte[]> Serializer { get; }
    }

    public static class Marshallers
    {
        public static Marshaller<T> Create<T>(Func<T, byte[]> serializer, Func<byte[], T> deserializer) =>
            new(serializer, deserializer);
    }

    public class Method<TRequest, TResponse>
    {
        public Method(
            MethodType type, string service, string name, Marshaller<TRequest> request, Marshaller<TResponse> response)
        {
            FullName = $"/{service}/{name}";
            RequestMarshaller = request;
            ResponseMarshaller = response;
        }

        public string FullName { get; }
        public Marshaller<TRequest> RequestMarshaller { get; }
        public Marshaller<TResponse> ResponseMarshaller { get; }
    }

    public struct CallOptions
    {
        public CallOptions(
            Metadata headers = null,
            DateTime? deadline = null,
            CancellationToken cancellationToken = default,
            WriteOptions writeOptions = null,
            ContextPropagationToken propagationToken = null,
            CallCredentials credentials = null)
        {
        }
    }

    public class AsyncUnaryCall<T>
    {
        public Task<T> ResponseAsync { get; internal set; }

        public TaskAwaiter<T> GetAwaiter() => ResponseAsync.GetAwaiter();
    }

    public abstract class CallInvoker
    {
        public abstract AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request)
            where TRequest : class
            where TResponse : class;

        public abstract TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request)
            where TRequest : class
            where TResponse : class;
    }

    sealed class ClearTextInvoker : CallInvoker
    {
        const int PrefixBytes = 5;
        readonly Channel channel;

        public ClearTextInvoker(Channel channel) => this.channel = channel;

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request) =>
            new() { ResponseAsync = Call(method, request) };

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request) =>
            Call(method, request).GetAwaiter().GetResult();

        async Task<TResponse> Call<TRequest, TResponse>(Method<TRequest, TResponse> method, TRequest request)
        {
            try
            {
                using HttpRequestMessage call = Framed(method.FullName, method.RequestMarshaller.Serializer(request));
                using HttpResponseMessage answer = await channel.Http.SendAsync(call).ConfigureAwait(false);
                byte[] body = await answer.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
                string status = StatusOf(answer);
                if (status == "0") return method.ResponseMarshaller.Deserializer(body[PrefixBytes..]);
                throw new RpcException(new Status(StatusCode.Unknown, $"grpc-status {status}"));
            }
            catch (HttpRequestException lost)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, lost.Message));
            }
        }

        /// A message goes out behind a byte that says "not compressed" and its length.
        HttpRequestMessage Framed(string path, byte[] message)
        {
            var framed = new byte[PrefixBytes + message.Length];
            BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), message.Length);
            message.CopyTo(framed, PrefixBytes);
            var call = new HttpRequestMessage(HttpMethod.Post, $"http://{channel.Target}{path}")
            {
                Version = new Version(2, 0),
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new ByteArrayContent(framed),
            };
            call.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
            call.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
            return call;
        }

        static string StatusOf(HttpResponseMessage answer)
        {
            bool isThere = answer.TrailingHeaders.TryGetValues("grpc-status", out var values)
                || answer.Headers.TryGetValues("grpc-status", out values);
            return isThere ? values.Last() : "missing";
        }
    }

    public abstract class ClientBase
    {
        protected ClientBase()
        {
        }

        protected ClientBase(Channel channel)
            : this(new ClearTextInvoker(channel))
        {
        }

        protected ClientBase(CallInvoker invoker) => CallInvoker = invoker;

        protected ClientBase(ClientBaseConfiguration configuration)
        {
        }

        protected CallInvoker CallInvoker { get; }

        public class ClientBaseConfiguration
        {
        }
    }

    public abstract class ClientBase<T> : ClientBase
    {
        protected ClientBase()
        {
        }

        protected ClientBase(Channel channel)
            : base(channel)
        {
        }

        protected ClientBase(CallInvoker invoker)
            : base(invoker)
        {
        }

        protected ClientBase(ClientBaseConfiguration configuration)
        {
        }

        protected abstract T NewInstance(ClientBaseConfiguration configuration);
    }

    // The generated code has a server half that nobody calls.
    public delegate Task<TResponse> UnaryServerMethod<TRequest, TResponse>(TRequest request, ServerCallContext context)
        where TRequest : class
        where TResponse : class;

    public class ServerServiceDefinition
    {
        public static Builder CreateBuilder() => new();

        public class Builder
        {
            public Builder AddMethod<TRequest, TResponse>(
                Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse> handler)
                where TRequest : class
                where TResponse : class => this;

            public ServerServiceDefinition Build() => new();
        }
    }
}
