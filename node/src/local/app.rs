//! The service for apps: a caller speaks for an app if it is the app's user, or the operator in its place.

use lull_policy::{Answer, AppId, Caller, RegistrationId, Request as Ask};
use lull_proto::local::v1 as wire;
use lull_proto::local::v1::app_service_server::AppService;
use tonic::{Request, Response, Status};

use super::attach::{Events, attach};
use super::peer::peer;
use super::{Local, convert, misfit, view};

/// The service.
#[derive(Debug, Clone)]
pub(super) struct Apps(pub(super) Local);

impl Apps {
    /// The app that a caller may act for.
    fn acting<T>(&self, request: &Request<T>, app: String) -> Result<AppId, Status> {
        let peer = peer(request)?;
        let app = convert::app(app)?;
        self.0.authority.act(&peer, &app)?;
        Ok(app)
    }

    /// The app that a caller may read.
    fn reading<T>(&self, request: &Request<T>, app: String) -> Result<AppId, Status> {
        let peer = peer(request)?;
        let app = convert::app(app)?;
        self.0.authority.read(&peer, &app)?;
        Ok(app)
    }

    /// Calls as the app's front client, in the foreground if one of its attached clients is.
    async fn call(&self, app: &AppId, request: Ask) -> Result<Answer, Status> {
        let caller = Caller::Front {
            app: app.clone(),
            foreground: self.0.leases.held(app),
        };
        self.0.call(caller, request).await
    }
}

fn not_installed(app: &AppId) -> Status {
    Status::not_found(format!(
        "no app {app} is installed on this device; install its manifest first"
    ))
}

#[tonic::async_trait]
impl AppService for Apps {
    async fn request_access(
        &self,
        request: Request<wire::RequestAccessRequest>,
    ) -> Result<Response<wire::RequestAccessResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        match self
            .call(&app, Ask::RequestAccess { app: app.clone() })
            .await?
        {
            Answer::Access(status) => Ok(Response::new(wire::RequestAccessResponse {
                status: convert::access(status).into(),
            })),
            other => Err(misfit(&other)),
        }
    }

    async fn request_access_kind(
        &self,
        request: Request<wire::RequestAccessKindRequest>,
    ) -> Result<Response<wire::RequestAccessKindResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let wire::RequestAccessKindRequest { kind, reason, .. } = request.into_inner();
        let ask = Ask::RequestAccessKind {
            app: app.clone(),
            kind: convert::access_kind(kind)?,
            reason,
        };
        match self.call(&app, ask).await? {
            Answer::Granted(granted) => {
                Ok(Response::new(wire::RequestAccessKindResponse { granted }))
            }
            other => Err(misfit(&other)),
        }
    }

    async fn remove_access(
        &self,
        request: Request<wire::RemoveAccessRequest>,
    ) -> Result<Response<wire::RemoveAccessResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        match self
            .call(&app, Ask::RemoveAccess { app: app.clone() })
            .await?
        {
            Answer::Access(status) => Ok(Response::new(wire::RemoveAccessResponse {
                status: convert::access(status).into(),
            })),
            other => Err(misfit(&other)),
        }
    }

    async fn get_access_status(
        &self,
        request: Request<wire::GetAccessStatusRequest>,
    ) -> Result<Response<wire::GetAccessStatusResponse>, Status> {
        let app = self.reading(&request, request.get_ref().app.clone())?;
        let status = self.0.look(move |device, _now| device.access(&app)).await?;
        Ok(Response::new(wire::GetAccessStatusResponse {
            status: convert::access(status).into(),
        }))
    }

    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let registration = convert::registration(request.into_inner())?;
        let ask = Ask::Register {
            app: app.clone(),
            registration,
        };
        match self.call(&app, ask).await? {
            Answer::Registered { id, warnings } => {
                Ok(Response::new(wire::RegisterResponse { id: id.0, warnings }))
            }
            Answer::Valid { warnings } => {
                Ok(Response::new(wire::RegisterResponse { id: 0, warnings }))
            }
            other => Err(misfit(&other)),
        }
    }

    async fn unregister(
        &self,
        request: Request<wire::UnregisterRequest>,
    ) -> Result<Response<wire::UnregisterResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let wire::UnregisterRequest { id, cancel, .. } = request.into_inner();
        let ask = Ask::Unregister {
            app: app.clone(),
            id: RegistrationId(id),
            cancel,
        };
        match self.call(&app, ask).await? {
            Answer::Unregistered => Ok(Response::new(wire::UnregisterResponse {})),
            other => Err(misfit(&other)),
        }
    }

    async fn reconcile(
        &self,
        request: Request<wire::ReconcileRequest>,
    ) -> Result<Response<wire::ReconcileResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let desired = convert::desired(request.into_inner().desired)?;
        let ask = Ask::Reconcile {
            app: app.clone(),
            desired,
        };
        match self.call(&app, ask).await? {
            Answer::Reconciled(done) => Ok(Response::new(convert::reconciled(done))),
            other => Err(misfit(&other)),
        }
    }

    async fn list_tasks(
        &self,
        request: Request<wire::ListTasksRequest>,
    ) -> Result<Response<wire::ListTasksResponse>, Status> {
        let app = self.reading(&request, request.get_ref().app.clone())?;
        let tasks = move |device: &_, now| view::tasks(device, now, Some(&app));
        Ok(Response::new(wire::ListTasksResponse {
            tasks: self.0.look(tasks).await?,
        }))
    }

    async fn request_run(
        &self,
        request: Request<wire::RequestRunRequest>,
    ) -> Result<Response<wire::RequestRunResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let name = convert::task("name", request.into_inner().name)?;
        let ask = Ask::RequestRun {
            app: app.clone(),
            name,
        };
        match self.call(&app, ask).await? {
            Answer::Raised(raised) => Ok(Response::new(wire::RequestRunResponse {
                result: convert::raised(raised).into(),
            })),
            other => Err(misfit(&other)),
        }
    }

    async fn request_device(
        &self,
        request: Request<wire::RequestDeviceRequest>,
    ) -> Result<Response<wire::RequestDeviceResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let wire::RequestDeviceRequest { name, device, .. } = request.into_inner();
        let ask = Ask::RequestDevice {
            app: app.clone(),
            name: convert::task("name", name)?,
            device: convert::device(device)?,
            // An app does not speak for the device's user (TRGD-32).
            consent: false,
        };
        match self.call(&app, ask).await? {
            Answer::Raised(raised) => Ok(Response::new(wire::RequestDeviceResponse {
                result: convert::raised(raised).into(),
            })),
            other => Err(misfit(&other)),
        }
    }

    async fn request_servicing(
        &self,
        request: Request<wire::RequestServicingRequest>,
    ) -> Result<Response<wire::RequestServicingResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        // As above, and asked each time (TRGD-35).
        let believed = self.0.authority.operate(&peer(&request)?).is_ok();
        let wire::RequestServicingRequest {
            name,
            device,
            expected,
            consent,
            ..
        } = request.into_inner();
        let ask = Ask::RequestServicing {
            app: app.clone(),
            name: convert::task("name", name)?,
            device: convert::device(device)?,
            expected: convert::expected(expected)?,
            consent: consent && believed,
        };
        match self.call(&app, ask).await? {
            Answer::Raised(raised) => Ok(Response::new(wire::RequestServicingResponse {
                result: convert::raised(raised).into(),
            })),
            other => Err(misfit(&other)),
        }
    }

    async fn get_state_folder(
        &self,
        request: Request<wire::GetStateFolderRequest>,
    ) -> Result<Response<wire::GetStateFolderResponse>, Status> {
        let app = self.reading(&request, request.get_ref().app.clone())?;
        let folder = self.0.owners.folder_of(&app);
        let folder = folder.ok_or_else(|| not_installed(&app))?;
        let text = folder.into_os_string().into_string().map_err(|folder| {
            Status::failed_precondition(format!(
                "the folder {} is not UTF-8; give lull-node another state_dir",
                folder.display()
            ))
        });
        Ok(Response::new(wire::GetStateFolderResponse {
            folder: text?,
        }))
    }

    async fn add_scheduled(
        &self,
        request: Request<wire::AddScheduledRequest>,
    ) -> Result<Response<wire::AddScheduledResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let wire::AddScheduledRequest {
            kind,
            description,
            expires,
            ..
        } = request.into_inner();
        let ask = Ask::AddScheduled {
            app: app.clone(),
            kind: convert::scheduled_kind(kind)?,
            description,
            expires: expires
                .map(|at| convert::instant("expires", at))
                .transpose()?,
        };
        match self.call(&app, ask).await? {
            Answer::Registered { id, .. } => {
                Ok(Response::new(wire::AddScheduledResponse { id: id.0 }))
            }
            other => Err(misfit(&other)),
        }
    }

    async fn remove_scheduled(
        &self,
        request: Request<wire::RemoveScheduledRequest>,
    ) -> Result<Response<wire::RemoveScheduledResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let kind = convert::scheduled_kind(request.get_ref().kind)?;
        let ask = Ask::RemoveScheduled {
            app: app.clone(),
            kind,
        };
        match self.call(&app, ask).await? {
            Answer::Unregistered | Answer::Done => {
                Ok(Response::new(wire::RemoveScheduledResponse {}))
            }
            other => Err(misfit(&other)),
        }
    }

    async fn update_card(
        &self,
        request: Request<wire::UpdateCardRequest>,
    ) -> Result<Response<wire::UpdateCardResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        match self
            .call(&app, Ask::UpdateCard { app: app.clone() })
            .await?
        {
            Answer::Done => Ok(Response::new(wire::UpdateCardResponse {})),
            other => Err(misfit(&other)),
        }
    }

    type AttachStream = Events;

    async fn attach(
        &self,
        request: Request<wire::AttachRequest>,
    ) -> Result<Response<Events>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        if self.0.owners.uid_of(&app).is_none() {
            return Err(not_installed(&app));
        }
        let wire::AttachRequest {
            foreground,
            takes_pushes,
            ..
        } = *request.get_ref();
        let pushes = takes_pushes.then(|| self.0.takers.attach(&app, foreground));
        Ok(Response::new(attach(
            app,
            foreground,
            &self.0.leases,
            self.0.notices.subscribe(),
            pushes,
            self.0.ending.clone(),
        )))
    }

    async fn answer_push(
        &self,
        request: Request<wire::AnswerPushRequest>,
    ) -> Result<Response<wire::AnswerPushResponse>, Status> {
        let app = self.acting(&request, request.get_ref().app.clone())?;
        let wire::AnswerPushRequest { push, handled, .. } = request.into_inner();
        let ask = Ask::AnswerPush {
            app: app.clone(),
            push: convert::push("push", push)?,
            handled,
        };
        match self.call(&app, ask).await? {
            Answer::Done => Ok(Response::new(wire::AnswerPushResponse {})),
            other => Err(misfit(&other)),
        }
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRunsRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        let app = self.reading(&request, request.get_ref().app.clone())?;
        let limit = convert::limit(request.get_ref().limit)?;
        let status = self.0.board.read();
        let runs = move |device: &_, _now| view::runs(device, &status, Some(&app), limit);
        Ok(Response::new(wire::ListRunsResponse {
            runs: self.0.look(runs).await?,
        }))
    }
}
